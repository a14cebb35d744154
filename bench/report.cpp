#include "bench/report.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace chaise::bench {

static double median_of(std::vector<double> values) {
    std::sort(values.begin(), values.end());
    const std::size_t middle = values.size() / 2;
    return values.size() % 2 == 1 ? values[middle] : (values[middle - 1] + values[middle]) / 2;
}

double CaseReport::median(double (Measurement::*figure)() const) const {
    std::vector<double> values;
    for (const Measurement& round : rounds) values.push_back((round.*figure)());
    return median_of(std::move(values));
}

double CaseReport::latency_us(double share) const {
    Histogram all;
    for (const Measurement& round : rounds) all.merge(round.latencies);
    return all.quantile(share) / 1000;
}

double median_ratio(const CaseReport& a, const CaseReport& b, double (Measurement::*figure)() const) {
    std::vector<double> ratios;
    for (std::size_t i = 0; i < a.rounds.size(); ++i)
        ratios.push_back((a.rounds[i].*figure)() / (b.rounds[i].*figure)());
    return median_of(std::move(ratios));
}

static const CaseReport* find(const std::vector<CaseReport>& cases, std::string_view name) {
    const auto found =
        std::find_if(cases.begin(), cases.end(), [&](const auto& report) { return report.name == name; });
    return found == cases.end() ? nullptr : &*found;
}

std::string as_text(const std::vector<CaseReport>& cases) {
    std::string text = fmt::format("{:<10}{:>10}{:>11}{:>11}{:>13}{:>9}{:>9}{:>11}\n", "case", "ops/s", "CPU ns/op",
                                   "allocs/op", "syscalls/op", "p50 us", "p99 us", "p99.9 us");
    for (const CaseReport& report : cases) {
        text += fmt::format("{:<10}{:>10.0f}{:>11.1f}{:>11.4f}{:>13.4f}{:>9.1f}{:>9.1f}{:>11.1f}\n", report.name,
                            report.median(&Measurement::ops_per_s), report.median(&Measurement::cpu_ns_per_op),
                            report.median(&Measurement::allocs_per_op), report.median(&Measurement::syscalls_per_op),
                            report.latency_us(0.5), report.latency_us(0.99), report.latency_us(0.999));
    }
    const auto compare = [&](std::string_view name, std::string_view to) {
        const CaseReport* a = find(cases, name);
        const CaseReport* b = find(cases, to);
        if (a == nullptr || b == nullptr) return;
        text += fmt::format("CPU per operation, {} / {}: {:.3f}\n", name, to,
                            median_ratio(*a, *b, &Measurement::cpu_ns_per_op));
    };
    for (const CaseReport& report : cases) {
        if (report.name != "floor") compare(report.name, "floor");
    }
    compare("await", "callback");
    return text;
}

/// One element of the list, without its closing brace.
static std::string json_fields(const CaseReport& report) {
    return fmt::format(R"({{"name": "{}", "ops_per_s": {:.1f}, "cpu_ns_per_op": {:.1f}, "allocs_per_op": {:.6f}, )"
                       R"("syscalls_per_op": {:.6f}, "p50_us": {:.2f}, "p99_us": {:.2f})",
                       report.name, report.median(&Measurement::ops_per_s), report.median(&Measurement::cpu_ns_per_op),
                       report.median(&Measurement::allocs_per_op), report.median(&Measurement::syscalls_per_op),
                       report.latency_us(0.5), report.latency_us(0.99));
}

std::string as_json(const CaseReport& report) {
    return json_fields(report) + fmt::format(", \"p999_us\": {:.2f}}}\n", report.latency_us(0.999));
}

std::string as_json(const std::vector<CaseReport>& cases) {
    std::string json = "{\"cases\": [";
    for (const CaseReport& report : cases) {
        if (&report != cases.data()) json += ", ";
        json += json_fields(report) + "}";
    }
    return json + "]}\n";
}

}  // namespace chaise::bench
