/*
 * MPI for the kit (MpiGroup.cs): one call a function, on the memory that a tensor has. Written in C because the values of MPI's handles, such as
 * MPI_COMM_WORLD and MPI_FLOAT, belong to each MPI's own header. build.sh compiles it with mpicc, so it works with whichever MPI is installed.
 *
 * Every function returns MPI_SUCCESS (0) or MPI's error; rcmpi_text says what that means. One thread at a time may call.
 */
#include <mpi.h>
#include <string.h>

#define KIT __attribute__((visibility("default")))

static MPI_Datatype type_of(int type)
{
    const MPI_Datatype types[] = {MPI_BYTE, MPI_INT32_T, MPI_INT64_T, MPI_FLOAT, MPI_DOUBLE};
    return types[type];
}

/* place: rank, processes, rank on this machine, processes on this machine. */
KIT int rcmpi_start(int place[4])
{
    int error, level;
    MPI_Comm machine;
    if ((error = MPI_Init_thread(NULL, NULL, MPI_THREAD_SERIALIZED, &level)) ||
        (error = MPI_Comm_set_errhandler(MPI_COMM_WORLD, MPI_ERRORS_RETURN)) ||
        (error = MPI_Comm_rank(MPI_COMM_WORLD, &place[0])) ||
        (error = MPI_Comm_size(MPI_COMM_WORLD, &place[1])) ||
        (error = MPI_Comm_split_type(MPI_COMM_WORLD, MPI_COMM_TYPE_SHARED, 0, MPI_INFO_NULL, &machine)) ||
        (error = MPI_Comm_rank(machine, &place[2])) ||
        (error = MPI_Comm_size(machine, &place[3])))
        return error;
    return MPI_Comm_free(&machine);
}

KIT int rcmpi_end(void) { return MPI_Finalize(); }

KIT int rcmpi_abort(int code) { return MPI_Abort(MPI_COMM_WORLD, code); }

KIT int rcmpi_barrier(void) { return MPI_Barrier(MPI_COMM_WORLD); }

KIT int rcmpi_broadcast(void *values, int count, int type, int from)
{
    return MPI_Bcast(values, count, type_of(type), from, MPI_COMM_WORLD);
}

/* Every process's values become the sums over all processes. */
KIT int rcmpi_sum(void *values, int count, int type)
{
    return MPI_Allreduce(MPI_IN_PLACE, values, count, type_of(type), MPI_SUM, MPI_COMM_WORLD);
}

/* Sums that have begun. MPI moves them along while it is called. */
static MPI_Request begun[256];
static int begun_count;

/* Returns when they are there. */
KIT int rcmpi_end_sums(void)
{
    int error = MPI_Waitall(begun_count, begun, MPI_STATUSES_IGNORE);
    begun_count = 0;
    return error;
}

/* Begins to write the sums over all processes of their values, in place or elsewhere; nobody may touch either before rcmpi_end_sums. */
KIT int rcmpi_begin_sum(const void *values, void *sums, int count, int type)
{
    int done, error = begun_count == sizeof begun / sizeof *begun ? rcmpi_end_sums() : MPI_SUCCESS;
    if (error)
        return error;
    if (values == sums)
        values = MPI_IN_PLACE;
    if ((error = MPI_Iallreduce(values, sums, count, type_of(type), MPI_SUM, MPI_COMM_WORLD, &begun[begun_count])))
        return error;
    begun_count++;
    return MPI_Testall(begun_count, begun, &done, MPI_STATUSES_IGNORE);
}

/* Process r has counts[r] values, which come to begin at starts[r] of all. */
KIT int rcmpi_gather(const void *mine, int count, void *all, const int *counts, const int *starts, int type)
{
    return MPI_Allgatherv(mine, count, type_of(type), all, counts, starts, type_of(type), MPI_COMM_WORLD);
}

/* The machine's name; capacity is at least MPI_MAX_PROCESSOR_NAME of every MPI, 256. */
KIT int rcmpi_machine(char *name)
{
    int length;
    return MPI_Get_processor_name(name, &length);
}

/* Which MPI this is, one line; at most capacity - 1 bytes. Works before rcmpi_start. */
KIT int rcmpi_version(char *text, int capacity)
{
    char whole[MPI_MAX_LIBRARY_VERSION_STRING];
    int length, error = MPI_Get_library_version(whole, &length);
    if (error)
        return error;
    whole[strcspn(whole, "\n,")] = 0;
    strncpy(text, whole, capacity - 1);
    text[capacity - 1] = 0;
    return MPI_SUCCESS;
}

/* What an error means; the text has room for 512 bytes. */
KIT int rcmpi_text(int error, char *text)
{
    int length;
    return MPI_Error_string(error, text, &length);
}
