// This process' resident memory.
#pragma once

namespace sentinel {

double rss_mb();        // now, MB (10^6 bytes)
double peak_rss_mb();   // highest since the start or the last reset_peak_rss()
void reset_peak_rss();  // does nothing where the kernel forbids it

}  // namespace sentinel
