module github.com/tomehub/tomehub/tools/oraclesql

go 1.26.0

require (
	github.com/antlr4-go/antlr/v4 v4.13.0
	github.com/bytebase/plsql-parser v0.0.0-20240929073008-6b57c2e2525d
)

require golang.org/x/exp v0.0.0-20230515195305-f3d0a9c9a5cc // indirect
