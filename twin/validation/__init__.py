"""The public scoreboard: each model against figures that we did not make. One module per subject."""
