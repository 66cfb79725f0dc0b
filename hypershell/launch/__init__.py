"""How clients are started."""
