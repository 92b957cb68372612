# SPDX-License-Identifier: Apache-2.0
#
# Writes a C file that holds the dashboard's files as arrays: cmake -D OUT=FILE -D FROM=FOLDER -D NAMES=a,b -P this.
# Each has an entity tag, the beginning of its SHA-256. @PAGE_TAG@ in index.html becomes the tag of all of them
# together, which tells a page from that of another build.

set(type_html "text/html; charset=utf-8")
set(type_css "text/css; charset=utf-8")
set(type_js "text/javascript; charset=utf-8")

string(REPLACE "," ";" NAMES "${NAMES}")

set(sums "")
foreach(name IN LISTS NAMES)
    file(SHA256 ${FROM}/${name} sum)
    string(APPEND sums ${sum})
endforeach()
string(SHA256 tag "${sums}")
string(SUBSTRING ${tag} 0 16 tag)

set(arrays "")
set(rows "")
foreach(name IN LISTS NAMES)
    cmake_path(GET name EXTENSION LAST_ONLY suffix)
    string(SUBSTRING "${suffix}" 1 -1 suffix)
    file(SHA256 ${FROM}/${name} sum)
    string(SUBSTRING ${sum} 0 16 sum)
    file(READ ${FROM}/${name} hex HEX)
    if(name STREQUAL "index.html")
        string(HEX "@PAGE_TAG@" mark)
        string(HEX "${tag}" value)
        string(REPLACE ${mark} ${value} hex ${hex})
        set(sum ${tag})
    endif()
    string(REGEX REPLACE "(..)" "0x\\1," bytes ${hex})
    string(REGEX REPLACE "[^a-z0-9]" "_" symbol ${name})
    string(APPEND arrays "static const unsigned char ${symbol}[] = {${bytes}};\n")
    string(APPEND rows "    {\"${name}\", \"${type_${suffix}}\", \"\\\"${sum}\\\"\", ${symbol}, sizeof(${symbol})},\n")
endforeach()

list(LENGTH NAMES count)
file(WRITE ${OUT} "/* Made from ${FROM}. */\n#include \"rest/page.h\"\n\n${arrays}
const struct page_file page_files[] = {\n${rows}};
const size_t page_file_count = ${count};
const char page_tag[] = \"${tag}\";\n")
