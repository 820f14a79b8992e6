/* tomehub:text_index_drop */
DROP INDEX TOMEHUB_CONTENT_WORDS FORCE
