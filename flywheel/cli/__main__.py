"""``python -m flywheel.cli``: the command line where its script is not installed."""

from flywheel.cli import main

main()
