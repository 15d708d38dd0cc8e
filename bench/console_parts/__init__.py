"""What bench/console.py measures, a file a subcommand."""
