"""The dock widget and the commands of the menus."""
