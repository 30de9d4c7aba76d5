// A stand-in for XLA's CUDA plugin where there is no GPU: programs that are made for it run on the CPU's plugin, and
// each is also compiled by the CUDA plugin, for a card that is described in a file. setup/cuda.sh builds and uses it.
//
//	STANDIN_CPU   the CPU's plugin, which computes
//	STANDIN_CUDA  the CUDA plugin, which compiles
//	STANDIN_CARD  the description of the card, a GpuTargetConfigProto as text
//	STANDIN_INTO  a folder: for each program a file with what became of it
#include <dlfcn.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "pjrt_c_api.h"

static const PJRT_Api *cpu, *cuda;
static PJRT_TopologyDescription *card;
static PJRT_Api standin; // cpu's, but for what is replaced below

static const char *need(const char *name) {
	const char *value = getenv(name);
	if (!value) {
		fprintf(stderr, "standin: %s is not set\n", name);
		exit(2);
	}
	return value;
}

static const PJRT_Api *load(const char *path) {
	void *lib = dlopen(path, RTLD_NOW | RTLD_LOCAL);
	const PJRT_Api *(*get)(void) = lib ? (const PJRT_Api *(*)(void))dlsym(lib, "GetPjrtApi") : 0;
	if (!get) {
		fprintf(stderr, "standin: %s: %s\n", path, dlerror());
		exit(2);
	}
	return get();
}

// message writes the first line of an error of cuda's, and frees it.
static void message(PJRT_Error *err, char *into, size_t size) {
	PJRT_Error_Message_Args m = {sizeof m, 0, err};
	cuda->PJRT_Error_Message(&m);
	snprintf(into, size, "%.*s", (int)m.message_size, m.message);
	into[strcspn(into, "\n")] = 0;
	PJRT_Error_Destroy_Args d = {sizeof d, 0, err};
	cuda->PJRT_Error_Destroy(&d);
}

static PJRT_NamedValue option(const char *name, const char *value) {
	PJRT_NamedValue v = {sizeof v};
	v.name = name, v.name_size = strlen(name);
	v.type = PJRT_NamedValue_kString, v.string_value = value, v.value_size = strlen(value);
	return v;
}

static void describe(void) {
	static char text[1 << 16];
	char why[1024];
	FILE *f = fopen(need("STANDIN_CARD"), "r");
	if (!f || !fread(text, 1, sizeof text - 1, f)) {
		fprintf(stderr, "standin: STANDIN_CARD cannot be read\n");
		exit(2);
	}
	fclose(f);
	PJRT_NamedValue options[] = {option("target_config", text), option("topology", "1x1x1")};
	PJRT_TopologyDescription_Create_Args a = {sizeof a};
	a.topology_name = "", a.create_options = options, a.num_options = 2;
	PJRT_Error *err = cuda->PJRT_TopologyDescription_Create(&a);
	if (err) {
		message(err, why, sizeof why);
		fprintf(stderr, "standin: %s\n", why);
		exit(2);
	}
	card = a.topology;
}

static PJRT_Error *create(PJRT_Client_Create_Args *a) {
	PJRT_Client_Create_Args b = *a;
	b.create_options = 0, b.num_options = 0; // preallocate and the like, of which the CPU's knows nothing
	PJRT_Error *err = cpu->PJRT_Client_Create(&b);
	a->client = b.client;
	return err;
}

// forCard compiles a program for the card, once for each folder.
static void forCard(const PJRT_Program *program, const char *options, size_t size) {
	uint64_t hash = 14695981039346656037u; // FNV-1a
	for (size_t i = 0; i < program->code_size; i++)
		hash = (hash ^ (unsigned char)program->code[i]) * 1099511628211u;
	char path[4096], line[2048], why[1024];
	snprintf(path, sizeof path, "%s/%016" PRIx64, need("STANDIN_INTO"), hash);
	FILE *f = fopen(path, "wx");
	if (!f)
		return;
	struct timespec from, to;
	clock_gettime(CLOCK_MONOTONIC, &from);
	PJRT_Compile_Args a = {sizeof a};
	a.topology = card, a.program = program, a.compile_options = options, a.compile_options_size = size;
	PJRT_Error *err = cuda->PJRT_Compile(&a);
	clock_gettime(CLOCK_MONOTONIC, &to);
	if (err) {
		message(err, why, sizeof why);
		snprintf(line, sizeof line, "FAILED %s\n", why);
		FILE *source = fopen(strcat(path, ".mlir"), "w");
		if (source) {
			fwrite(program->code, 1, program->code_size, source);
			fclose(source);
		}
	} else {
		PJRT_Executable_GetCompiledMemoryStats_Args m = {sizeof m};
		m.executable = a.executable;
		if ((err = cuda->PJRT_Executable_GetCompiledMemoryStats(&m)))
			message(err, why, sizeof why);
		snprintf(line, sizeof line, "%.2f s, %.1f MB beside what comes in and goes out\n", to.tv_sec - from.tv_sec + (to.tv_nsec - from.tv_nsec) / 1e9, m.temp_size_in_bytes / 1e6);
		PJRT_Executable_Destroy_Args d = {sizeof d, 0, a.executable};
		cuda->PJRT_Executable_Destroy(&d);
	}
	fputs(line, f);
	fclose(f);
}

static PJRT_Error *compile(PJRT_Client_Compile_Args *a) {
	forCard(a->program, a->compile_options, a->compile_options_size);
	return cpu->PJRT_Client_Compile(a);
}

const PJRT_Api *GetPjrtApi(void) {
	if (!cpu) {
		cpu = load(need("STANDIN_CPU")), cuda = load(need("STANDIN_CUDA"));
		describe();
		memcpy(&standin, cpu, cpu->struct_size < sizeof standin ? cpu->struct_size : sizeof standin);
		standin.PJRT_Client_Create = create, standin.PJRT_Client_Compile = compile;
	}
	return &standin;
}
