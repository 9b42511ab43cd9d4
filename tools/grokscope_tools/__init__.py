"""What do the commands in tools/ share? One folder a question; tools/README.md is their map."""
