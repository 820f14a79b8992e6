module github.com/tomehub/tomehub/tools/benchpeers

go 1.26.0
