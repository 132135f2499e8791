"""What chance does as well: permutations and networks that learnt nothing."""
