module dbtier/localcloud/build/pause

go 1.26
