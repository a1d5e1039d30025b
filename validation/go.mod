module dbtier/validation

go 1.26
