"""How the system is run and watched. Production imports nothing from here."""
