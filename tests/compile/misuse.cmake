# SPDX-License-Identifier: MIT
# Misuse that the compiler must refuse: each case of misuse.c has to end in the message that belongs to it.

set(misuse_compile ${CMAKE_C_COMPILER} -std=c11 -I${PROJECT_SOURCE_DIR}/include -Wall -Werror -o ${CMAKE_CURRENT_BINARY_DIR}/misuse.o)
if(PAGETABLE_ONLY_FORMAT)
    list(APPEND misuse_compile -DPT_ONLY_FORMAT=${PAGETABLE_ONLY_FORMAT})
endif()

# The positive control: with no misuse in it the file compiles.
add_test(NAME misuse_none COMMAND ${misuse_compile} -c ${CMAKE_CURRENT_LIST_DIR}/misuse.c)
set_tests_properties(misuse_none PROPERTIES RESOURCE_LOCK misuse.o)

function(add_misuse_test name message)
    string(TOLOWER ${name} test)
    add_test(NAME misuse_${test} COMMAND ${misuse_compile} -DMISUSE_${name} -c ${CMAKE_CURRENT_LIST_DIR}/misuse.c)
    set_tests_properties(misuse_${test} PROPERTIES
        PASS_REGULAR_EXPRESSION "error: [^\n]*(${message})"
        ENVIRONMENT LC_ALL=C
        RESOURCE_LOCK misuse.o)
endfunction()

add_misuse_test(NO_FLUSH "too few arguments")
add_misuse_test(NULL_FLUSH "nonnull")
add_misuse_test(NULL_FLUSH_IN_REGION "nonnull")
add_misuse_test(NULL_TABLE "nonnull")
add_misuse_test(IGNORE_STATUS "unused-result")
add_misuse_test(IGNORE_MAP "unused-result")
add_misuse_test(IGNORE_UNMAP_REGION "unused-result")
add_misuse_test(STORE_INTO_FORMAT "read-only|const-qualified")
