"""The environment variables of this program."""

from hypershell.core import environment


def test_what_opens_a_server_is_a_secret():
    """The key and the passphrase; where something is may be seen by tasks."""
    names = {value for name, value in vars(environment).items() if name.isupper()} - {
        environment.SECRETS
    }

    assert all(name.startswith("HYPERSHELL_") for name in names)
    assert {environment.AUTH, environment.PASSPHRASE} == environment.SECRETS
