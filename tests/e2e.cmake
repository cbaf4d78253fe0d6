# The binaries together.
evopress_test(e2e/search_test evopress_quant)
add_dependencies(e2e_search_test evopress evopress-evaluator-cpu)
evopress_test(e2e/plan_test evopress_quant)
add_dependencies(e2e_plan_test evopress evopress-evaluator-cpu)
evopress_test(e2e/domains_test evopress_quant)
add_dependencies(e2e_domains_test evopress evopress-evaluator-cpu)
evopress_test(e2e/pareto_test evopress_quant)
add_dependencies(e2e_pareto_test evopress evopress-evaluator-cpu)
