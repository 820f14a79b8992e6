/* tomehub:optimize */
INSERT INTO TOMEHUB_CONTENT_FTS (TOMEHUB_CONTENT_FTS, rank)
VALUES ('merge', :pages)
