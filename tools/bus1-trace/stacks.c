// SPDX-License-Identifier: GPL-2.0-only
/*
 * DOC: stacks
 *
 * What addresses of a process are called, by libdw: from debug information the
 * function with file and line; else from the symbol table the function; else the
 * file. It can be found out only while the process is there, so it is asked for
 * when the stack arrives, and remembered. A recording brings the names along.
 */
#define _GNU_SOURCE /* asprintf */
#include <elfutils/libdwfl.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "bus1-trace.h"
#include "options.h"
#include "recording.h"
#include "table.h"

/* Processes whose files are kept open, and addresses remembered of a live run */
#define PROCESSES_MAX 16
#define SYMBOLS_MAX (1 << 18)
#define NAME_MAX_LEN 160

struct symbol {
	struct table_entry entry;
	uint32_t pid;
	uint64_t ip;
	char name[];
};

static struct process {
	uint32_t pid; /* 0: not used */
	uint64_t start; /* when it began: IDs are used again */
	uint64_t asked; /* the larger the later */
	Dwfl *dwfl;
} processes[PROCESSES_MAX];
static uint64_t asked;
static struct table symbols;
static uint32_t reported; /* whose files find_elf() looks for */

/*
 * A file as that process sees it, which may have another root. It may have put
 * there what it likes, so nothing is opened that blocks.
 */
static int find_elf(Dwfl_Module *module, void **userdata, const char *name,
		    Dwarf_Addr base, char **path, Elf **elf)
{
	struct stat st;
	int fd;

	if (*name != '/') /* [vdso] */
		return dwfl_linux_proc_find_elf(module, userdata, name, base,
						path, elf);
	if (asprintf(path, "/proc/%u/root%s", reported, name) < 0) {
		*path = NULL;
		return -1;
	}
	fd = open(*path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	if (fd >= 0 && (fstat(fd, &st) || !S_ISREG(st.st_mode))) {
		close(fd);
		fd = -1;
	}
	if (fd < 0) {
		free(*path);
		*path = NULL;
	}
	return fd;
}

static const Dwfl_Callbacks callbacks = {
	.find_elf = find_elf,
	.find_debuginfo = dwfl_standard_find_debuginfo,
};

/* Field 22 of its stat, or 0: it is not there. */
static uint64_t process_start(uint32_t pid)
{
	char path[64], line[1024], *p;
	uint64_t start;

	snprintf(path, sizeof(path), "/proc/%u/stat", pid);
	if (!read_line(path, line, sizeof(line)))
		return 0;
	p = strrchr(line, ')'); /* behind its name */
	if (!p || sscanf(p + 1,
			 " %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %*u %*u"
			 " %*d %*d %*d %*d %*d %*d %" SCNu64, &start) != 1)
		return 0;
	return start;
}

static void report(struct process *process, bool again)
{
	if (again)
		dwfl_report_begin_add(process->dwfl);
	else
		dwfl_report_begin(process->dwfl);
	reported = process->pid;
	dwfl_linux_proc_report(process->dwfl, process->pid);
	dwfl_report_end(process->dwfl, NULL, NULL);
}

static void symbol_forget(struct table_entry *entry, void *context)
{
	(void)context;
	table_remove(&symbols, entry);
	free(table_item(struct symbol, entry));
}

static void symbol_forget_of(struct table_entry *entry, void *context)
{
	if (table_item(struct symbol, entry)->pid == *(uint32_t *)context)
		symbol_forget(entry, NULL);
}

/* The process, instead of the one that was not asked for for longest; or NULL */
static struct process *process_get(uint32_t pid)
{
	uint64_t start = process_start(pid);
	struct process *process = processes;
	size_t i;

	if (!start || !initial_pids())
		return NULL;
	for (i = 0; i < PROCESSES_MAX; i++) {
		if (processes[i].pid == pid) {
			process = &processes[i];
			break;
		}
		if (processes[i].asked < process->asked)
			process = &processes[i];
	}
	process->asked = ++asked;
	if (process->pid == pid && process->start == start)
		return process;
	if (process->pid == pid)
		table_each(&symbols, symbol_forget_of, &pid);
	dwfl_end(process->dwfl);
	process->pid = 0;
	/* what is on this machine has to do: nothing is fetched */
	unsetenv("DEBUGINFOD_URLS");
	process->dwfl = dwfl_begin(&callbacks);
	if (!process->dwfl)
		return NULL;
	process->pid = pid;
	process->start = start;
	report(process, false);
	return process;
}

static const char *base_name(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

static void describe(struct process *process, uint64_t ip, char *name,
		     size_t size)
{
	Dwfl_Module *module = dwfl_addrmodule(process->dwfl, ip);
	const char *function, *file = NULL;
	Dwarf_Addr start = 0;
	GElf_Off offset;
	Dwfl_Line *line;
	GElf_Sym symbol;
	int number;

	/* loaded since, or another program */
	if (!module) {
		report(process, true);
		module = dwfl_addrmodule(process->dwfl, ip);
	}
	if (!module)
		return;
	reported = process->pid;
	function = dwfl_module_addrinfo(module, ip, &offset, &symbol, NULL,
					NULL, NULL);
	line = dwfl_module_getsrc(module, ip);
	if (line)
		file = dwfl_lineinfo(line, NULL, &number, NULL, NULL, NULL);
	if (function && file)
		snprintf(name, size, "%s (%s:%d)", function, base_name(file),
			 number);
	else if (function)
		snprintf(name, size, "%s+0x%" PRIx64, function, offset + 1);
	else {
		file = dwfl_module_info(module, NULL, &start, NULL, NULL, NULL,
					NULL, NULL);
		snprintf(name, size, "%s+0x%" PRIx64, base_name(file),
			 ip + 1 - start);
	}
}

static struct symbol *symbol_find(uint32_t pid, uint64_t ip)
{
	struct table_entry *e = table_first(&symbols, table_hash(pid, ip, 0));

	for (; e; e = table_next(e)) {
		struct symbol *symbol = table_item(struct symbol, e);

		if (symbol->pid == pid && symbol->ip == ip)
			return symbol;
	}
	return NULL;
}

void symbol_add(uint32_t pid, uint64_t ip, const char *name)
{
	size_t n = strnlen(name, NAME_MAX_LEN);
	struct symbol *symbol;

	if (symbol_find(pid, ip))
		return;
	if (!options.input && symbols.n == SYMBOLS_MAX)
		table_each(&symbols, symbol_forget, NULL);
	symbol = calloc(1, sizeof(*symbol) + n + 1);
	if (!symbol) {
		complain("out of memory");
		exit(EXIT_ERROR);
	}
	symbol->pid = pid;
	symbol->ip = ip;
	memcpy(symbol->name, name, n);
	table_add(&symbols, &symbol->entry, table_hash(pid, ip, 0));
}

const char *symbol_name(uint32_t pid, uint64_t ip)
{
	struct symbol *symbol = symbol_find(pid, ip);
	char name[NAME_MAX_LEN + 1] = "?";
	struct process *process;

	if (symbol)
		return symbol->name;
	if (options.input)
		return "?";
	process = process_get(pid);
	if (process && ip) /* it is where a call returns to: one back */
		describe(process, ip - 1, name, sizeof(name));
	symbol_add(pid, ip, name);
	return symbol_find(pid, ip)->name;
}

void symbol_each(const struct bus1_stack *stack,
		 void (*found)(uint32_t pid, uint64_t ip, const char *name))
{
	uint32_t i;

	for (i = 0; i < stack->n && i < BUS1_STACK_MAX; i++) {
		const char *name;

		if (symbol_find(stack->pid, stack->ip[i]))
			continue;
		name = symbol_name(stack->pid, stack->ip[i]);
		if (found)
			found(stack->pid, stack->ip[i], name);
	}
}
