/* SPDX-License-Identifier: Apache-2.0
 *
 * The page at /: what runs, fetched from /api/v1/status every two seconds. One text, nothing loaded
 * from elsewhere.
 */
#include "edge/manager/api.h"

static const char html[] =
    "<!doctype html>\n"
    "<html lang=\"en\"><head><meta charset=\"utf-8\"><title>Sluice</title>\n"
    "<meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">\n"
    "<style>\n"
    ":root{color-scheme:light dark;--line:#8884}\n"
    "body{font:15px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem}\n"
    "h1{font-size:1.4rem}h2{font-size:1.1rem;margin-top:2rem}\n"
    "table{border-collapse:collapse;width:100%}\n"
    "th,td{text-align:left;padding:.3rem .6rem;border-bottom:1px solid var(--line)}\n"
    "td.n,th.n{text-align:right;font-variant-numeric:tabular-nums}\n"
    "#state{padding:.1rem .5rem;border-radius:.3rem;background:#2a7;color:#fff;font-size:.9rem}\n"
    "#state.bad{background:#c33}\n"
    "</style></head><body>\n"
    "<h1>Sluice <span id=\"state\">loading</span></h1><p id=\"facts\"></p>\n"
    "<h2>Services</h2><table id=\"services\"></table>\n"
    "<h2>Workers</h2><table id=\"workers\"></table>\n"
    "<h2>Listeners</h2><table id=\"listeners\"></table>\n"
    "<p><a href=\"/metrics\">metrics</a> · <a href=\"/api/v1/status\">status</a> ·\n"
    "<a href=\"/api/v1/routes\">routes</a> · <a href=\"/api/v1/config\">configuration</a></p>\n"
    "<script>\n"
    "'use strict';\n"
    "const $=id=>document.getElementById(id);\n"
    "function fill(id,heads,rows){\n"
    " const table=$(id);table.replaceChildren();\n"
    " for(const [i,row] of [heads,...rows].entries()){\n"
    "  const tr=table.insertRow();\n"
    "  for(const value of row){\n"
    "   const cell=document.createElement(i?'td':'th');\n"
    "   cell.textContent=value;if(typeof value==='number')cell.className='n';\n"
    "   tr.append(cell);\n"
    "  }\n"
    " }\n"
    "}\n"
    "function say(text,bad){$('state').textContent=text;$('state').className=bad?'bad':''}\n"
    "function show(s){\n"
    " say(s.draining?'draining':s.ready?'ready':'starting',s.draining||!s.ready);\n"
    " $('facts').textContent='version '+s.version+', generation '+s.generation+', up '+\n"
    "  Math.floor(s.uptime_s/60)+' min, '+s.config.path+\n"
    "  (s.config.last_reload.successful?'':' (the last reload failed: the old one goes on)');\n"
    " fill('services',['service','target','address','weight','in flight','connections','state'],\n"
    "  s.services.flatMap(v=>v.targets.map(t=>[v.name,t.id,t.address,t.weight,t.in_flight,\n"
    "   t.connections.open,(t.drained?'drained':t.resolved?'in use':'not resolved')+\n"
    "   (t.source==='api'?', by the API':'')])));\n"
    " fill('workers',['worker','in flight','connections','of','lag ms'],\n"
    "  s.workers.map(w=>[w.index,w.in_flight,w.connections,w.connections_max,w.lag_ms]));\n"
    " fill('listeners',['address','for'],s.listeners.map(l=>[l.bind,l.kind]));\n"
    "}\n"
    "async function look(){\n"
    " try{\n"
    "  const answer=await fetch('/api/v1/status');\n"
    "  if(answer.ok)show(await answer.json());else say('status '+answer.status,true);\n"
    " }catch(e){say('not reachable',true)}\n"
    " setTimeout(look,2000);\n"
    "}\n"
    "look();\n"
    "</script></body></html>\n";

struct str page_html(void)
{
    return (struct str){html, sizeof(html) - 1};
}
