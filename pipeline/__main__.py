"""The command line: imports only the role or tool that is asked for."""
