\password :"user"
