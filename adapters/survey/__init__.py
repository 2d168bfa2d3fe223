"""Systems that hold people's answers on how satisfied they are."""
