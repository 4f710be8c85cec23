"""What vaelab claims to reach, one recipe a module; those that begin with an underscore are what they share.

A recipe's docstring says what is shown and on which data. Its `claims(bench)` trains and samples as a user would and
gives one `Claim` for each row of its table. One that needs a folder of the user's says so by `NEEDS = "<name>"`.
"""
