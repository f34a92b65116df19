# SPDX-License-Identifier: MIT
# Files as C strings: cmake -DTO=files.c "-DFILES=draw.html;picture.css" -P embed.cmake
set(text "/* Made by embed.cmake. */\n#include \"files.h\"\n")
foreach(file IN LISTS FILES)
    get_filename_component(name "${file}" NAME)
    string(MAKE_C_IDENTIFIER "file_${name}" name)
    file(READ "${file}" bytes HEX)
    # Lines of sixteen bytes: strings as long as a file are beyond what C promises.
    string(REGEX REPLACE "(................................)" "\\1\n" bytes "${bytes}")
    string(REGEX REPLACE "([0-9a-f][0-9a-f])" "'\\\\x\\1', " bytes "${bytes}")
    string(APPEND text "\nconst char ${name}[] = {\n${bytes}0};\n")
endforeach()
file(WRITE "${TO}" "${text}")
