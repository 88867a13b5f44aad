"""The contenders that score texts on one thread, one module each with the same three names: `NAME`, `WHAT` and
`prepare(bundle, texts)`, which loads everything and gives a function that scores and says how many texts it scored."""
