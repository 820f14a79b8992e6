/* tomehub:text_index */
SELECT i.domidx_status, i.domidx_opstatus
FROM USER_INDEXES i
WHERE i.index_name = 'TOMEHUB_CONTENT_WORDS'
