"""`python -m capsearch` is `capsearch`."""

from capsearch.cli import main

main()
