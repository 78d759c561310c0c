-- Included in other queries: the tasks in the states that are chosen.
('$__all' IN (${state:sqlstring}) OR {alias}.state IN (${state:sqlstring}))
