"""How the program is seen from outside: logs, metrics, traces and health."""
