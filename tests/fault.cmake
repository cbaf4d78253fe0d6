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
evopress_test(fault/simulation_test evopress_fault spdlog::spdlog)

# A simulator that finds nothing may be blind. Each mutant is the simulator with
# one rule of the service broken, made from the source by replacing a text; it
# must find a violation within 1,000 seeds.
function(evopress_fault_mutant name source rule broken)
  set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS
    ${PROJECT_SOURCE_DIR}/${source})
  file(READ ${PROJECT_SOURCE_DIR}/${source} text)
  string(REPLACE "${rule}" "${broken}" mutant "${text}")
  if(mutant STREQUAL text)
    message(FATAL_ERROR "mutant ${name}: ${source} does not contain: ${rule}")
  endif()
  set(file ${CMAKE_CURRENT_BINARY_DIR}/mutants/${name}.cc)
  file(CONFIGURE OUTPUT ${file} CONTENT "@mutant@" @ONLY)
  # Its symbols come before those of the library.
  add_executable(fault_mutant_${name} fault/simulate_main.cc ${file})
  target_compile_options(fault_mutant_${name} PRIVATE -Wno-unused)
  target_link_libraries(fault_mutant_${name} PRIVATE evopress_fault spdlog::spdlog)
  add_test(NAME fault/mutant_${name}
    COMMAND fault_mutant_${name} --seeds 1000 --expect-violation)
endfunction()

evopress_fault_mutant(lost_lease_is_forgotten server/lease_table.cc
  "if (entry.tokens.empty() && (!entry.done || entry.disputed)) {" "if (false) {")
evopress_fault_mutant(result_is_accepted_twice server/lease_table_results.cc
  "} else if (entry.done) {" "} else if (false) {")
evopress_fault_mutant(any_class_may_answer server/lease_table.cc
  "return entry.task.numeric_class() == worker.info.numeric_class();" "return true;")
evopress_fault_mutant(results_need_not_be_durable server/scheduler_workers.cc
  "absl::Status status = journal_->Commit(batch);"
  "absl::Status status = journal_->Commit(batch); status = absl::OkStatus();")
evopress_fault_mutant(liars_keep_their_other_results server/scheduler_workers.cc
  "if (!batch.quarantined.empty()) {" "if (false) {")
evopress_fault_mutant(last_results_are_not_audited server/job_audit.cc
  "for (const auto& [worker, entry] : last) singles.insert(entry);" "")
evopress_fault_mutant(request_ids_are_forgotten server/scheduler.cc
  "scheduler->by_request_[record.request_id] = id;" "")
