"""Dead letters looked at, and sent again once what was wrong with them is put right."""
