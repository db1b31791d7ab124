"""The dashboard, made by code so that it can be reviewed."""
