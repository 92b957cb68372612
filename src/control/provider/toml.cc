/* SPDX-License-Identifier: Apache-2.0 */
#include "control/provider/toml.h"

#include <cstdio>
#include <cstring>
#include <exception>
#include <sstream>
#include <string_view>

#include <toml++/toml.h>

char *toml_json(const char *text, size_t len, char *why, size_t size)
try {
    const toml::table table = toml::parse(std::string_view{text, len});
    std::ostringstream json;

    json << toml::json_formatter{table};
    return strdup(json.str().c_str());
} catch (const toml::parse_error &error) {
    const toml::source_position place = error.source().begin;
    const std::string_view what = error.description();

    snprintf(why, size, "line %u, column %u: %.*s", place.line, place.column,
             static_cast<int>(what.size()), what.data());
    return nullptr;
} catch (const std::exception &error) {
    snprintf(why, size, "%s", error.what());
    return nullptr;
}
