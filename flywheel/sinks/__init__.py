"""Where predictions go after they are in the log. Read ``base`` first: what every sink promises."""
