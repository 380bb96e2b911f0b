"""Due times by PyPI's businesstimedelta, for the bench due_rate: cases on standard input, answers on standard output.

Input: one line `ZONE OPEN CLOSE` (Monday to Friday), one line of holidays `YYYY-MM-DD ...`, then `START TARGET` in seconds.
Output: the seconds that the computing took, parsing apart, then a due (seconds since 1970) a line.
"""

import datetime
import sys
import time

import businesstimedelta
import pytz

zone_name, opens, closes = sys.stdin.readline().split()
zone = pytz.timezone(zone_name)
wall = lambda text: datetime.time(*map(int, text.split(":")))
office = businesstimedelta.WorkDayRule(wall(opens), wall(closes), [0, 1, 2, 3, 4], tz=zone)
dates = {datetime.date.fromisoformat(text) for text in sys.stdin.readline().split()}
rules = [office, businesstimedelta.HolidayRule(dates, tz=zone)] if dates else [office]
rule = businesstimedelta.Rules(rules)

utc = datetime.timezone.utc
cases = [
    (datetime.datetime.fromtimestamp(int(start), utc), businesstimedelta.BusinessTimeDelta(rule, seconds=int(target)))
    for start, target in (line.split() for line in sys.stdin)
]
began = time.perf_counter()
dues = [start + target for start, target in cases]
print(time.perf_counter() - began)
for due in dues:
    print(int(due.timestamp()))
