"""Queries of all kinds that Prometheus and Varan must answer alike.

Left out, since Debian's Prometheus (2.42) does not have them or means something else by them:
- sort_by_label, sort_by_label_desc, mad_over_time, ts_of_*_over_time, first_over_time, step(), range(),
  double_exponential_smoothing (there: holt_winters), histogram_avg, histogram_stddev, histogram_stdvar,
  histogram_quantiles, info(), limitk, limit_ratio; the modifiers anchored, smoothed and fill; quoted metric names;
- quantiles and fractions of native histograms: interpolated exponentially since 3.0;
- names of labels beyond ASCII, and durations written as bare numbers: refused before 3.0;
- atan2 of a named metric: 2.42 keeps the name, by mistake;
- bottomk and topk where values tie: which of them stays is nobody's promise.
"""

SELECTORS = """
http_requests_total
http_requests_total{job="api"}
http_requests_total{job!="api"}
http_requests_total{route=~"/s.*"}
http_requests_total{route!~"/s.*|/"}
http_requests_total{route="/checkout/“42”"}
http_requests_total{status=~"4..|5.."}
http_requests_total{status=~"4[0-9]{2}", job="api"}
http_requests_total{missing=""}
http_requests_total{missing!=""}
http_requests_total{route=~".+", status!~"2.."}
http_requests_total{instance=~"(a|b):8[01]"}
http_requests_total{route=~"(?i:/SEARCH)"}
{job="api", status="500"}
{__name__=~"temp.*|up"}
{__name__="up"}
nothing_of_that_name
up
build_info
odd_value
seen_once
sparse_total
temperature_celsius offset 10m
temperature_celsius offset -5m
http_requests_total offset 1h30m
temperature_celsius @ {at}
temperature_celsius @ {at} offset 5m
temperature_celsius offset 5m @ {at}
rpc_native_seconds
"""

RATES = """
rate(http_requests_total[5m])
rate(http_requests_total[1m])
rate(http_requests_total{status="200"}[17m])
irate(http_requests_total[5m])
increase(http_requests_total[10m])
increase(http_requests_total{job="web"}[1h])
delta(temperature_celsius[15m])
idelta(temperature_celsius[5m])
deriv(temperature_celsius[10m])
predict_linear(temperature_celsius[30m], 3600)
resets(http_requests_total[1h])
changes(odd_value[20m])
changes(up[1h])
rate(sparse_total[20m])
rate(sparse_total[5m])
increase(rpc_duration_seconds_count[30m])
rate(rpc_duration_seconds_sum[5m]) / rate(rpc_duration_seconds_count[5m])
rate(http_requests_total[5m] offset 20m)
rate(http_requests_total[5m] @ {at})
rate(http_requests_total[2h])
deriv(odd_value{kind="constant"}[10m])
delta(http_requests_total[30m])
"""

OVER_TIME = """
avg_over_time(temperature_celsius[10m])
min_over_time(temperature_celsius[10m])
max_over_time(temperature_celsius[10m])
sum_over_time(temperature_celsius[10m])
count_over_time(http_requests_total[10m])
stddev_over_time(temperature_celsius[10m])
stdvar_over_time(temperature_celsius[10m])
quantile_over_time(0.9, temperature_celsius[10m])
quantile_over_time(0, temperature_celsius[10m])
quantile_over_time(1.5, temperature_celsius[10m])
quantile_over_time(-1, temperature_celsius[10m])
last_over_time(build_info[10m])
last_over_time(seen_once[2h])
present_over_time(seen_once[2h])
absent_over_time(seen_once[5m])
absent_over_time(nothing_of_that_name{job="x"}[5m])
min_over_time(odd_value[10m])
max_over_time(odd_value[10m])
avg_over_time(odd_value[10m])
sum_over_time(odd_value[10m])
stddev_over_time(odd_value{kind!~"huge|inf|neginf"}[10m])
quantile_over_time(0.5, odd_value[10m])
count_over_time(up[2h])
"""

AGGREGATIONS = """
sum(http_requests_total)
sum by (job) (http_requests_total)
sum by (job, status) (rate(http_requests_total[5m]))
sum without (instance) (rate(http_requests_total[5m]))
sum without (instance, route, status, env) (http_requests_total)
sum by (nothing) (http_requests_total)
avg by (route) (http_requests_total)
avg(temperature_celsius)
min by (floor) (temperature_celsius)
max by (floor) (temperature_celsius)
count by (job) (http_requests_total)
count(up == 1)
group by (job) (http_requests_total)
stddev by (status) (http_requests_total)
stdvar(temperature_celsius)
quantile(0.25, temperature_celsius)
quantile by (job) (0.9, http_requests_total)
quantile(NaN, temperature_celsius)
topk(3, http_requests_total)
topk by (job) (2, http_requests_total)
topk(0, http_requests_total)
topk(100, temperature_celsius)
bottomk(3, temperature_celsius)
bottomk by (status) (1, http_requests_total{instance!="b:80"})
count_values("version", build_info)
count_values by (job) ("value", up)
sum(odd_value)
avg(odd_value{kind!="huge"})
min(odd_value)
max(odd_value)
max(odd_value{kind="allnan"})
sum(nothing_of_that_name)
count(nothing_of_that_name)
topk(2, odd_value)
bottomk(2, odd_value{kind!~".*zero|square"})
sum(sum by (job) (rate(http_requests_total[5m])))
max by (instance) (sum by (instance, route) (rate(http_requests_total[5m])))
"""

HISTOGRAMS = """
histogram_quantile(0.5, rate(rpc_duration_seconds_bucket[5m]))
histogram_quantile(0.95, sum by (le) (rate(rpc_duration_seconds_bucket[5m])))
histogram_quantile(0.99, sum by (le, instance) (rate(rpc_duration_seconds_bucket[10m])))
histogram_quantile(0.9, rpc_duration_seconds_bucket)
histogram_quantile(0, sum by (le) (rate(rpc_duration_seconds_bucket[5m])))
histogram_quantile(1, sum by (le) (rate(rpc_duration_seconds_bucket[5m])))
histogram_quantile(2, sum by (le) (rate(rpc_duration_seconds_bucket[5m])))
histogram_quantile(-1, sum by (le) (rate(rpc_duration_seconds_bucket[5m])))
histogram_quantile(NaN, sum by (le) (rate(rpc_duration_seconds_bucket[5m])))
histogram_quantile(0.9, sum by (le) (rate(rpc_duration_seconds_bucket{le!="+Inf"}[5m])))
histogram_quantile(0.9, temperature_celsius)
sum(rate(rpc_duration_seconds_bucket{le="0.1"}[5m])) / sum(rate(rpc_duration_seconds_count[5m]))
histogram_count(rpc_native_seconds)
histogram_sum(rpc_native_seconds)
histogram_count(rate(rpc_native_seconds[5m]))
histogram_sum(rate(rpc_native_seconds[5m]))
histogram_sum(increase(rpc_native_seconds[10m])) / histogram_count(increase(rpc_native_seconds[10m]))
histogram_count(sum(rpc_native_seconds))
histogram_count(sum(rate(rpc_native_seconds[5m])))
count_over_time(rpc_native_seconds[10m])
count(rpc_native_seconds)
"""

OPERATORS = """
1 + 2 * 3 ^ 2 ^ 0.5 - 4 / 5 % 3
-temperature_celsius
+temperature_celsius
2 ^ -temperature_celsius
temperature_celsius + 273.15
100 - temperature_celsius
temperature_celsius * temperature_celsius
temperature_celsius / 0
odd_value / 0
odd_value % 3
-7 % 3
temperature_celsius ^ 2
(temperature_celsius + 0) atan2 3
temperature_celsius > 0
temperature_celsius >= bool 0
temperature_celsius == temperature_celsius
temperature_celsius != 5
0 < temperature_celsius
1 <= bool 2
up == bool 1
odd_value == odd_value
odd_value != bool odd_value
memory_bytes / on (job, instance) group_left memory_limit_bytes
memory_bytes / ignoring (area) group_left () memory_limit_bytes
memory_bytes * on (instance) group_left (version) build_info
memory_limit_bytes * on (job, instance) group_right build_info
memory_limit_bytes - on (job, instance) sum by (job, instance) (memory_bytes)
sum by (job, instance) (memory_bytes) > bool on (job, instance) memory_limit_bytes
sum by (status) (rate(http_requests_total{status="500"}[5m])) / ignoring (status) sum(rate(http_requests_total[5m]))
sum by (route) (rate(http_requests_total{status!="200"}[5m])) / sum by (route) (rate(http_requests_total[5m]))
http_requests_total and on (instance) up == 1
http_requests_total{status="200"} and http_requests_total{job="api"}
http_requests_total{job="api"} or temperature_celsius
temperature_celsius or on (floor) temperature_celsius{room="hall"}
http_requests_total unless on (instance) memory_bytes
http_requests_total unless http_requests_total{status="200"}
temperature_celsius{room="hall"} or vector(1)
vector(1) or temperature_celsius
(temperature_celsius > 5) or (temperature_celsius < -5)
temperature_celsius > on (floor) group_left () max by (floor) (temperature_celsius offset 1h)
up * on () group_left () vector(2)
"""

FUNCTIONS = """
abs(temperature_celsius)
ceil(temperature_celsius)
floor(temperature_celsius)
round(temperature_celsius)
round(temperature_celsius, 0.25)
round(odd_value{kind="square"} / 2)
sgn(temperature_celsius)
sqrt(temperature_celsius)
exp(temperature_celsius / 10)
ln(temperature_celsius)
log2(temperature_celsius)
log10(temperature_celsius)
sin(temperature_celsius)
cos(temperature_celsius)
tan(temperature_celsius)
asin(temperature_celsius / 20)
acos(temperature_celsius / 20)
atan(temperature_celsius)
sinh(temperature_celsius / 10)
cosh(temperature_celsius / 10)
tanh(temperature_celsius / 10)
asinh(temperature_celsius)
acosh(temperature_celsius)
atanh(temperature_celsius / 30)
deg(temperature_celsius)
rad(temperature_celsius)
pi()
clamp(temperature_celsius, -3, 9)
clamp(temperature_celsius, 9, -3)
clamp_min(temperature_celsius, 0)
clamp_max(temperature_celsius, 0)
scalar(temperature_celsius{room="hall"})
scalar(temperature_celsius)
vector(time())
time()
timestamp(temperature_celsius)
timestamp(temperature_celsius offset 10m)
timestamp(vector(1))
time() - last_run_timestamp_seconds
absent(nothing_of_that_name{job="x", zone=~"y"})
absent(temperature_celsius)
absent(sum(nothing_of_that_name))
hour()
minute(last_run_timestamp_seconds)
day_of_month()
day_of_week()
day_of_year()
days_in_month()
month(last_run_timestamp_seconds)
year()
year(vector(1e9))
label_replace(up, "host", "$1", "instance", "(.*):.*")
label_replace(up, "host", "$2-$1", "instance", "(?P<name>.*):(.*)")
label_replace(up, "host", "x", "missing", "")
label_replace(up, "job", "", "job", ".*")
label_replace(temperature_celsius, "where", "${{1}}!", "room", "(h|a).*")
label_join(up, "at", "-", "job", "instance")
label_join(up, "job", "", "missing")
exp(odd_value)
sqrt(odd_value)
ceil(odd_value)
sgn(odd_value)
"""

SUBQUERIES = """
max_over_time(rate(http_requests_total{status="200"}[5m])[30m:1m])
avg_over_time(sum by (job) (rate(http_requests_total[5m]))[20m:2m])
min_over_time(temperature_celsius[30m:5m])
quantile_over_time(0.9, sum(temperature_celsius)[30m:1m])
sum_over_time((temperature_celsius > bool 0)[20m:1m])
max_over_time(temperature_celsius[20m:90s] offset 10m)
max_over_time(temperature_celsius[20m:90s] @ {at})
rate(http_requests_total[20m:1m])
deriv(rate(http_requests_total{job="api"}[5m])[30m:1m])
count_over_time(up[1h:30s])
max_over_time(avg_over_time(temperature_celsius[5m])[1h:5m] offset 10m)
last_over_time(vector(time())[10m:1m])
increase(sum(http_requests_total)[30m:1m])
min_over_time((1 / temperature_celsius)[15m:1m])
absent_over_time((temperature_celsius > 1000)[5m:1m])
stddev_over_time(sum(temperature_celsius)[10m:15s])
temperature_celsius - avg_over_time(temperature_celsius[1h:1m])
max_over_time((sum(rate(http_requests_total[5m])))[30m:1m]) - min_over_time((sum(rate(http_requests_total[5m])))[30m:1m])
"""

# Range answers of these have no order or are refused; they are asked for one moment.
INSTANT_ONLY = """
sort(temperature_celsius)
sort_desc(temperature_celsius)
sort(odd_value{kind=~"zero|constant|square|tiny|huge"})
sort_desc(topk(4, http_requests_total))
temperature_celsius[2m]
http_requests_total{status="500"}[90s] offset 30m
rate(http_requests_total{status="500"}[5m])[10m:1m]
"a string"
"""

RANGE_ONLY = """
temperature_celsius @ start()
temperature_celsius @ end()
rate(http_requests_total[5m] @ end())
sum(http_requests_total) - sum(http_requests_total @ start())
topk(3, rate(http_requests_total[1h] @ end()))
max_over_time(temperature_celsius[10m:1m] @ start())
"""

# Both must refuse these with the same status and kind of error.
REFUSED = """
sum(
up{
rate(up)
rate(up[5m]
up[5m] + 1
sum(up) by
up{job=~"("}
nosuchfunction(up)
abs()
abs(up, 1)
1 + "a"
up == on (job) group_left
temperature_celsius / on (floor) temperature_celsius
memory_bytes / on (instance) memory_limit_bytes
memory_limit_bytes * on (job) memory_bytes
label_replace(up, "x", "$1", "job", "(")
topk("3", up)
up @ foo
{}
{job=~".*"}
up and 1
-"a"
label_replace(temperature_celsius, "room", "same", "room", ".*")
"""


def lines(text: str, at: float) -> list[str]:
    """The queries of a block; `{at}` becomes a point in time."""
    found = [line.strip() for line in text.strip().splitlines() if line.strip()]
    return [q.replace("{at}", f"{at:.3f}").replace("{{", "{").replace("}}", "}") for q in found]


KINDS = {
    "selectors": SELECTORS,
    "rates": RATES,
    "over time": OVER_TIME,
    "aggregations": AGGREGATIONS,
    "histograms": HISTOGRAMS,
    "operators": OPERATORS,
    "functions": FUNCTIONS,
    "subqueries": SUBQUERIES,
}
