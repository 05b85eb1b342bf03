#include "report.hpp"

#include <algorithm>
#include <array>
#include <cstdio>
#include <string_view>

namespace selftest {
namespace {

const char* word_for(verdict outcome) {
    switch (outcome) {
    case verdict::holds:
        return "holds";
    case verdict::fails:
        return "FAILS";
    case verdict::absent:
        return "-";
    }
    return "";
}

std::string quoted(std::string_view text) {
    std::string result = "\"";
    for (const char each : text) {
        if (each == '"' || each == '\\') {
            result += '\\';
            result += each;
        } else if (static_cast<unsigned char>(each) < 0x20) {
            std::array<char, 8> escape{};
            std::snprintf(escape.data(), escape.size(), "\\u%04x", static_cast<unsigned>(each));
            result += escape.data();
        } else {
            result += each;
        }
    }
    return result + '"';
}

const char* json_for(verdict outcome) {
    return outcome == verdict::absent ? "null" : outcome == verdict::holds ? "true" : "false";
}

auto number_of(const report& all, verdict outcome) {
    return std::ranges::count(all.results, outcome, [](const result& each) { return each.found.outcome; });
}

} // namespace

bool report::all_hold() const {
    return number_of(*this, verdict::fails) == 0 &&
           std::ranges::all_of(measurements, [](const measurement& each) { return each.nanoseconds.has_value(); });
}

void print_table(const report& all) {
    std::printf("%s\n", all.subject.c_str());
    std::string_view group;
    for (const result& each : all.results) {
        if (group != each.group)
            std::printf("\n%s\n", each.group);
        group = each.group;
        std::printf("  %-36s %-6s %s\n", each.what->title, word_for(each.found.outcome), each.found.detail.c_str());
    }
    if (!all.measurements.empty())
        std::printf("\n%-38s %s\n", "what a switch costs", "ns");
    for (const auto& [what, nanoseconds] : all.measurements) {
        if (nanoseconds)
            std::printf("  %-36s %.1f\n", what->title, *nanoseconds);
        else
            std::printf("  %-36s FAILS\n", what->title);
    }
    std::printf("\n%td hold, %td fail, %td do not exist here\n", number_of(all, verdict::holds),
                number_of(all, verdict::fails), number_of(all, verdict::absent));
}

void print_json(const report& all) {
    std::printf("{\n  \"subject\": %s,\n  \"all_hold\": %s,\n  \"duties\": [", quoted(all.subject).c_str(),
                all.all_hold() ? "true" : "false");
    const char* separator = "\n";
    for (const result& each : all.results) {
        std::printf("%s    {\"name\": %s, \"holds\": %s, \"detail\": %s}", separator, quoted(each.what->name).c_str(),
                    json_for(each.found.outcome), quoted(each.found.detail).c_str());
        separator = ",\n";
    }
    std::printf("\n  ],\n  \"nanoseconds_per_switch\": {");
    separator = "\n";
    for (const auto& [what, nanoseconds] : all.measurements) {
        std::printf("%s    %s: ", separator, quoted(what->name).c_str());
        if (nanoseconds)
            std::printf("%.2f", *nanoseconds);
        else
            std::printf("null");
        separator = ",\n";
    }
    std::printf("\n  }\n}\n");
}

} // namespace selftest
