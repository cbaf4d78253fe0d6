# The simulator of faults (tests/fault/simulation.h).
add_library(evopress_fault STATIC
  fault/client_node.cc
  fault/coordinator_node.cc
  fault/memory_store.cc
  fault/simulation.cc
  fault/worker_node.cc)
target_link_libraries(evopress_fault PUBLIC evopress_server evopress_worker)

add_executable(fault_simulate fault/simulate_main.cc)
target_link_libraries(fault_simulate PRIVATE evopress_fault spdlog::spdlog)
