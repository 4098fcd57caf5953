"""Why a model says what it says of a row: contributions of raw columns, from a stated baseline."""
