"""The suite. A package, because pythermalcomfort installs a folder of the same name that would be found first."""
