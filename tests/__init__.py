"""The suite. A package, because dependencies may install a folder of the same name that would be found first."""
