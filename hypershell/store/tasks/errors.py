"""What a store refuses."""


class NoDatabase(ValueError):
    """This store keeps no task beyond its end, and cannot answer."""

    def __init__(self) -> None:
        super().__init__("this server keeps no database (--no-db)")


class StoreClosed(ValueError):
    """The run is over: it takes no more tasks, and changes none."""
