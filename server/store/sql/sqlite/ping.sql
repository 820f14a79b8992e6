/* tomehub:ping */
SELECT 1
