/* tomehub:profile_plans */
SELECT /*+ CURSOR_SHARING_EXACT */ sql_id, plan_hash_value, child_number, id, depth, operation, options, object_owner, object_name, cardinality, cost,
       access_predicates, filter_predicates
FROM v$sql_plan
WHERE sql_id IN (:id)
