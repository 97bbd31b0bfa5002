// Package fusemount has an application mount its fsdevs on directories, through /dev/fuse. Importing it adds the
// subsystem "fuse" to the application, and the RPCs fuse_mount, fuse_unmount and fuse_get_mounts; what is mounted is a
// part of the saved configuration, and is unmounted at the end.
//
// [Manager] belongs to an application; all its methods wait and must not be called on a reactor.
package fusemount
