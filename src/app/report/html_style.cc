#include "app/report/html_style.h"

#include <fmt/format.h>

#include "app/report/charts_drawing.h"

namespace sentinel {
namespace {

constexpr const char* kLayout = R"css(
*{box-sizing:border-box}
html{-webkit-text-size-adjust:100%}
body{margin:0;background:var(--paper);color:var(--text);
 font:16px/1.5 system-ui,-apple-system,"Segoe UI",Roboto,"DejaVu Sans",Arial,sans-serif}
main,header,footer{max-width:1180px;margin:0 auto;padding:0 20px}
header{padding-top:28px}
h1{font-size:1.6rem;line-height:1.25;margin:0 0 4px;overflow-wrap:anywhere}
h2{font-size:1.2rem;margin:40px 0 12px;padding-top:12px;border-top:1px solid var(--grid)}
p{margin:8px 0}
.meta,.reason{color:var(--muted)}
.note{border-left:4px solid var(--series5);padding:6px 12px;background:var(--soft);margin:10px 0}
nav{display:flex;flex-wrap:wrap;gap:4px 18px;margin:14px 0}
a{color:var(--series1)}
.cards{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(205px,100%),1fr));gap:14px;
 margin:0;padding:0;list-style:none}
.cards li{border:1px solid var(--grid);border-top:4px solid var(--series1);border-radius:6px;
 padding:12px 14px;background:var(--soft)}
.cards .title{font-size:.82rem;color:var(--muted)}
.cards .title::first-letter{text-transform:uppercase}
.cards .choice{font-weight:600;font-size:1.05rem}
.cards p{margin:4px 0}
.reason{font-size:.86rem}
.charts{columns:2 420px;column-gap:20px}
figure{margin:0 0 20px;break-inside:avoid;border:1px solid var(--grid);border-radius:6px;padding:8px;min-width:0}
svg.chart{display:block;width:100%;height:auto;max-width:540px;margin:0 auto}
svg .shapes{font-family:system-ui,-apple-system,"Segoe UI",Roboto,"DejaVu Sans",Arial,sans-serif}
svg .paper{fill:none}
svg text[paint-order]{stroke:var(--paper)}
summary{cursor:pointer;padding:6px 4px;color:var(--muted);font-size:.9rem}
:focus-visible{outline:2px solid var(--series1);outline-offset:2px}
.scroll{overflow-x:auto;max-width:100%}
table{border-collapse:collapse;font-size:.88rem;font-variant-numeric:tabular-nums}
th,td{padding:6px 10px;border-bottom:1px solid var(--grid);text-align:left;vertical-align:top}
th{background:var(--soft)}
td.n,th.n{text-align:right}
td.n{white-space:nowrap}
tbody tr:nth-child(even){background:var(--soft)}
table.facts th{font-weight:600;white-space:nowrap}
table.facts td{overflow-wrap:anywhere}
th button{all:unset;cursor:pointer;font-weight:600}
th button::after{content:"\a0\2195";color:var(--muted)}
th[aria-sort=ascending] button::after{content:"\a0\2191"}
th[aria-sort=descending] button::after{content:"\a0\2193"}
th button:focus-visible{outline:2px solid var(--series1)}
.copy{font:inherit;font-size:.82rem;color:var(--text);background:var(--soft);
 border:1px solid var(--axis);border-radius:4px;padding:3px 10px;margin:6px 0;cursor:pointer}
pre{background:var(--soft);border:1px solid var(--grid);border-radius:6px;padding:12px;
 overflow:auto;font-size:.84rem;max-height:32rem}
pre.command{white-space:pre-wrap;overflow-wrap:anywhere}
footer{margin-top:40px;padding-bottom:28px;color:var(--muted);font-size:.86rem}
@media (max-width:600px){main,header,footer{padding-left:16px;padding-right:16px}
 body{font-size:15px}h1{font-size:1.35rem}figure{padding:2px;margin-left:-10px;margin-right:-10px}
 table.facts th{white-space:normal}}
@media print{body{font-size:11pt}nav,.copy,#raw{display:none}
 .charts{columns:2}figure,.cards li,tr{break-inside:avoid}
 details:not([open]){display:none}.scroll{overflow:visible}table{font-size:6.5pt}
 th,td{padding:2px 3px}h2{break-after:avoid}th button::after{content:""}}
)css";

constexpr const char* kScript = R"js(
for (const table of document.querySelectorAll("table.data")) {
  const body = table.tBodies[0], heads = [...table.tHead.rows[0].cells];
  const key = (row, c) => row.cells[c].dataset.v ?? row.cells[c].textContent;
  heads.forEach((head, c) => {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = head.textContent;
    head.replaceChildren(button);
    button.addEventListener("click", () => {
      const down = head.getAttribute("aria-sort") === "ascending";
      heads.forEach((other) => other.removeAttribute("aria-sort"));
      head.setAttribute("aria-sort", down ? "descending" : "ascending");
      const order = (a, b) => {
        const x = key(a, c), y = key(b, c);
        if (x === "" || y === "") return (x === "") - (y === "");
        const d = Number(x) - Number(y);
        return (down ? -1 : 1) * (Number.isNaN(d) ? x.localeCompare(y) : d);
      };
      body.append(...[...body.rows].sort(order));
    });
  });
  const copy = document.createElement("button");
  copy.type = "button";
  copy.className = "copy";
  copy.textContent = "Copy as CSV";
  copy.addEventListener("click", async () => {
    const field = (cell) => {
      const text = cell.dataset.v ?? cell.textContent;
      return /[",\r\n]/.test(text) ? '"' + text.replaceAll('"', '""') + '"' : text;
    };
    const text = [...table.rows].map((row) => [...row.cells].map(field).join(",")).join("\n");
    try {
      await navigator.clipboard.writeText(text + "\n");
      copy.textContent = "Copied";
    } catch {
      const area = document.createElement("textarea");
      area.value = text;
      copy.after(area);
      area.select();
    }
  });
  table.parentElement.after(copy);
}
)js";

}  // namespace

std::string html_style() {
  constexpr Ink kAll[] = {Ink::text,    Ink::muted,   Ink::grid,    Ink::axis,
                          Ink::paper,   Ink::series1, Ink::series2, Ink::series3,
                          Ink::series4, Ink::series5, Ink::series6};
  std::string light, dark, classes;
  for (const Ink ink : kAll) {
    const InkColor color = ink_color(ink);
    light += fmt::format("--{}:{};", color.name, color.light);
    dark += fmt::format("--{}:{};", color.name, color.dark);
    classes += fmt::format(".f-{0}{{fill:var(--{0})}}.s-{0}{{stroke:var(--{0})}}\n", color.name);
  }
  return fmt::format(
      ":root{{color-scheme:light dark;{}--soft:#f5f7f9}}\n"
      "@media screen and (prefers-color-scheme:dark){{:root{{{}--soft:#1c2229}}}}\n{}{}",
      light, dark, classes, kLayout);
}

const char* html_script() { return kScript; }

}  // namespace sentinel
