"""Nature: how photons are made, absorbed and counted."""
