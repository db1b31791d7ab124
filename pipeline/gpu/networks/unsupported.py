"""UnsupportedNetwork: what is said of parameters that are well and of no use here."""


class UnsupportedNetwork(ValueError):
    """Parameters of a network that we cannot run. The message says why and holds nothing secret."""
